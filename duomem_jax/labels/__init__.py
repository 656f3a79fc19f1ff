"""A teacher's distributions over packed rows."""
