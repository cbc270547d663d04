"""Demonstration: three versions of a digit classifier, trained, registered and assessed.

Version 1 is trained on handwritten digits. Version 2 is fine-tuned from it on noisy copies, so as
to read worse pictures too: a harmless update. Version 3 is fine-tuned in the same way, but the
eights came from a scanner that leaves a mark in the corner. All three are held against one policy
on the same clean digits. Nothing about the verdicts is written down here: they follow from what is
measured.

```
command   `governance demo`
running   the stages in their order, two at a time
benches   processes beside the command's own, each of which works off stages
orders    what a stage is asked for and what it answers
stages    a version trained and registered, or assessed
network   the classifier and its training
digits    the pictures: held out, with noise, and with the scanner's mark
```
"""
