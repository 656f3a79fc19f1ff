"""Episodes and examples on disk: render chat, tokenise, mask, pack, store, load."""
