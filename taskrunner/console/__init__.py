"""The console: the service's state as pages, and the actions that people take on it.

`pages` asks the handlers of /v1 with the visitor's own rights, `views` turns what they answer into
models of pages (pure), and templates turn these into HTML. So it can do nothing that the API
cannot.
"""
