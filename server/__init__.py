"""Services over HTTP: the text encoder for other machines. Durable jobs and the editor will live here too."""
