"""A small tower and projector for any decoder, trained from scratch on rendered pictures."""
