"""HTTP, WebSocket, durable jobs and the editor will live here; a later release brings them."""
