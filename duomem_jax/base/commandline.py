"""What only a command line may do: quiet other libraries, and end the process."""

import logging


def quiet_libraries() -> None:
    """Let the logs of libraries say what a user can act upon, and no more."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates every save
    # A read of a damaged checkpoint leaves tasks behind, each of which asyncio would report.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
