"""Make a tiny model again and put it into the package: `python -m duomem_jax.tiny teacher`.

Run at the root of the repository, where configs/ is; stopped, it resumes where it was.
"""

import argparse
import sys
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.tiny import rows, start
from duomem_jax.tiny.listener import rows as listener_rows
from duomem_jax.tiny.listener import start as listener_start
from duomem_jax.tiny.ship import ABOUT, ship
from duomem_jax.train.config import load_config
from duomem_jax.train.run import run


def make(name: str, results: Path | None = None) -> Path:
    """Untrained model -> corpus -> training -> package.

    Returns:
        The model's folder in the package.

    Raises:
        UserError: no config here, or an output folder of another config.
    """
    config = load_config(f"configs/tiny_{name}.py", [])
    # Each step reuses what is there, so a stopped command goes on where it was.
    if name == "listener":
        print(listener_start.write_start(config.base), flush=True)
        print(listener_rows.write_rows(config.data, config.base), flush=True)
    else:
        print(start.write_start(name, config.base), flush=True)
        print(rows.write_rows(name, config.data, config.base), flush=True)
    run(config)
    return ship(name, Path(config.output), results)


def main() -> None:
    """Command line of this package."""
    parser = argparse.ArgumentParser(prog="python -m duomem_jax.tiny", description=make.__doc__)
    parser.add_argument("name", choices=list(ABOUT))
    parser.add_argument("--results", type=Path, help="folder of results that the card quotes")
    args = parser.parse_args()
    try:
        print(make(args.name, args.results))
    except UserError as e:
        sys.exit(f"duomem_jax.tiny: {e}")


if __name__ == "__main__":
    main()
