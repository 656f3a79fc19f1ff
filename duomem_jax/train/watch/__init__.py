"""What a run tells: metrics, writers, time, traces."""
