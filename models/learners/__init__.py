"""The learners: each trains members on packed rows, and gives a graph that answers as they do."""
