"""Whatever answers chats: models that run here, and models behind a server."""
