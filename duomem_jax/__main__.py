"""`python -m duomem_jax`, the same as `duomem`."""

from duomem_jax.cli import main

if __name__ == "__main__":
    main()
