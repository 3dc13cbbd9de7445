"""Everything that is served over HTTP: jobs and templates (``limner serve``), and the text encoder by itself."""
