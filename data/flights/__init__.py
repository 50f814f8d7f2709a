"""Departures from New York in 2013: 327,346 rows in 12 spans."""
