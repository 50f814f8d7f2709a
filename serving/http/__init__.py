"""HTTP/1.1 over asyncio, and the REST routes."""
