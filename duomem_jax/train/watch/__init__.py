"""What a run reports: metrics, writers, time, traces."""
