"""MLflow plug-ins: one module per MLflow entry point or server hook, each a thin adapter.

```
registry_store                 the registry in which protected aliases are for approved versions
  stores, governed               MLflow's stores, and our conditions on what they change
  approvals, protection, audit   what counts, what is protected, what is written down
evaluator, dataset             `mlflow.evaluate` for image classifiers, and their data
deployments                    a target that hands over only what passes the gate
artifacts                      a store that writes each file once
```

No analysis lives here. MLflow imports the entry modules with every client: they import nothing
heavy until they are called.
"""
