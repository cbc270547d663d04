"""What is assessed: a model, how images are prepared for it, and labelled images.

```
subject        the model under assessment with its validation images
classifier     pixels to class probabilities, whatever computes them
network        a classifier whose torch module is at hand
answers        where the class scores stand in whatever a model returns
black_box      a classifier that gives its outputs and cannot be looked into
outputs        what a model's numbers mean, and the probabilities that they stand for
class_names    the class of each output, and images brought into that order
meter          how far the analysis that runs has come
precision      full float32 while a model is computed
preprocessing  from a decoded image to the model's pixels
resizing       a picture at the model's size, as torchvision, timm and transformers bring it there
usual_preprocessings  means and standard deviations that models are trained with
images         validation images from folders, archives and lists
model_files    what lies in the files that MLflow keeps of a model
flavours       models from those files, one module for each kind
```
"""
