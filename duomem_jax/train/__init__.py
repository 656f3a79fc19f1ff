"""Everything a run needs: mesh, state, step, checkpoints, metrics, export."""
