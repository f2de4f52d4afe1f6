"""The JSON API of operators, `/v1`: what AWS's 19 operations cannot say, and what scripts want.

One place each: `table` has every route with its method, path, action, request and reply; `schema`
turns the dataclasses of `requests` and `shapes` into JSON and back, and into the OpenAPI document
(`openapi`, docs/openapi.json); `edge` answers; the other modules are the handlers. To add a route:
write its dataclasses and a handler `(service, caller, request) -> reply`, and a line in `table`.
"""
