"""The templates: graphs with parameters, ready to run, and their loader."""
