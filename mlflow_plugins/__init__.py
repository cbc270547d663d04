"""MLflow plug-ins: one module per MLflow entry point or server hook, each a thin adapter.

```
registry_store  the registry in which protected aliases are for approved versions
stores          which of MLflow's registry stores is governed for which URI
governed        MLflow's stores with our conditions on what they change
registrations   requests to register that failed halfway and are sent again
audit           what was let pass and what was refused, in a table that only grows
evaluator       the analyses of a policy where `mlflow.models.evaluate` is called
dataset         a list of image files with labels, as MLflow's data set
deployments     a target that hands over only what passes the gate
artifacts       a store that writes each file once
s3_artifacts    the same in a bucket of S3, or of what imitates it
sealing         folders of registered models and of their records, to which nothing is added
```

No analysis lives here. MLflow imports the entry modules with every client: they import nothing
heavy until they are called.
"""
