"""Network: a classifier cut open between its layers, without changing it.

```
network     trace and TracedNetwork: features, gradients, ablation, the head
batches     images, or layers, in parts that fit into memory
layers      which operations are filters, stages and the head, and their names
layouts     where an activation has its channels, and where in the image its places lie
operations  what a network does, step by step
paths       the ways to run a model piece by piece, and what must hold before
tracing     from a module or an exported program to a graph
replay      a graph of which any part can be run again
rerun       where nothing can be traced: the network watched and run again
```
"""

from governance.methods.network.batches import backward_batch, together
from governance.methods.network.layers import Unit
from governance.methods.network.layouts import MAPS, Layout
from governance.methods.network.network import HEAD, Path, TracedNetwork, trace

__all__ = [
    "HEAD",
    "MAPS",
    "Layout",
    "Path",
    "TracedNetwork",
    "Unit",
    "backward_batch",
    "together",
    "trace",
]
