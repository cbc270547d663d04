"""Flavours: from a model's files to a model that can be asked; one module for each kind of model.

```
choosing  which flavour a version is opened by, and its loading
loaded    a model as every flavour hands it over
fitting   the policy's preprocessing, completed and checked by what the model takes
arrays    images for a model that reads plain arrays: layout, numbers and batch
adapting  a torch model that returns something else, made to return its class scores
closed    a torch model that is asked and not looked into
unwrapping  a model without what trained it in parallel or compiled it
served    a model behind a scoring server, which runs none of its code here
scoring_server  one request after another to an address, within bounds
invocations     what a scoring server is asked about images, and its answer as numbers
arranging       a batch in the order that a model without a torch module takes
pytorch   a module that mlflow.pytorch logged: pt2 exports, and pickles where they are allowed
transformers  an image classifier that mlflow.transformers logged, a torch module
onnx      a graph that mlflow.onnx logged, computed by onnxruntime
```

Each flavour is one function `load(files, terms, device)` that returns a `LoadedModel`. A model
whose module is at hand becomes a `Network`, any other a `BlackBox`, which gives only its outputs.
The libraries behind a flavour are imported inside its function.
"""

from governance.subject.flavours.choosing import load
from governance.subject.flavours.loaded import LoadedModel

__all__ = ["LoadedModel", "load"]
