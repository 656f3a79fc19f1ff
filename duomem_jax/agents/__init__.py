"""Play many games at once: retrieve, prompt, decode, step."""
