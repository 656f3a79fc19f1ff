"""Generated dialogues of two people, with all that is true in them."""
