"""Network: a convolutional classifier cut open between its layers, without changing it.

```
network.py     the cuts: features, gradients, ablation, the head
layers.py      which operations are filters, stages and the head, and their names
operations.py  what a network does, step by step
tracing.py     from a module or an exported program to a graph
replay.py      a graph of which any part can be run again
rerun.py       where nothing can be traced: the network watched and run again
```
"""

from governance.methods.network.network import HEAD, Path, TracedNetwork, Unit, trace

__all__ = ["HEAD", "Path", "TracedNetwork", "Unit", "trace"]
