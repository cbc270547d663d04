"""What is assessed: a model, how images are prepared for it, and labelled images.

```
subject        a model with its preprocessing and validation images
precision      full float32 while a model is computed
preprocessing  from a decoded image to the model's pixels
images         validation images from folders, archives and lists
model_files    models from the files that MLflow keeps
```
"""
