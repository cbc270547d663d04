"""Governance of image classifiers registered in MLflow.

A *subject* (a registered model version, live, with its validation set) is put through *analyses*;
each leaves *evidence*; a *policy* holds *expectations* against the evidence, giving *findings* and
a *decision*; all of it together is an *assessment*, kept in MLflow, printed as a report, and asked
at the gate.

Importing this package loads neither torch nor mlflow.
"""
