"""Which memories a query is shown."""
