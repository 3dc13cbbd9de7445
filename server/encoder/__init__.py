"""The text encoder as a service of its own: ``limner serve-encoder``, for ``RemoteEncode`` on other machines."""
