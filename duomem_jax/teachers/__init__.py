"""Who plays and who labels: the text expert, and the procedures it knows."""
