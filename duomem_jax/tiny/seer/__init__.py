"""A small tower and projector before any decoder, trained from nothing on rendered pictures."""
