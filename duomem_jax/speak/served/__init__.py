"""Models behind an OpenAI-compatible server: asked patiently, each answer paid once."""
