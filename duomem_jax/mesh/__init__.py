"""The devices of a run: axes, shardings, hosts, chips, compiled programs kept."""
