"""MLflow plug-ins: one module per MLflow entry point or server hook, each a thin adapter.

No analysis lives here. There is no plug-in yet: the registry-store gate, the evaluator and the
deployments plug-in are added with the server-side enforcement.
"""
