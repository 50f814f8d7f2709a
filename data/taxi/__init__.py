"""Chicago taxi trips, 2013 to 2016: 15,000 rows in 13 spans."""
