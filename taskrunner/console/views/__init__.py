"""Models of pages: what /v1 answers goes in, what a template shows comes out. Pure."""
