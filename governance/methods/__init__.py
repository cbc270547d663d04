"""How things are measured, without policy and without records of an assessment.

```
network          a torch network cut open: its layers, its traced operations, runs resumed at a cut
masking          images with parts covered, and curves over growing masks
evolved          evolved local explanations: sufficient regions and heat maps
filter_ablation  what is lost when filters are silenced
lens_and_probe   what each layer already answers
correlation      which filters answer alike
decision_rules   interval rules that stand for many images
bounds           what provably cannot change a decision
faithfulness     whether a heat map says what the model rests on
statistics       intervals, proportions, calibration and confusion
image_tensors    images and labels in whatever form a caller holds them
preprocessing_search  which of the usual preprocessings a model was trained with
preprocessing_alternatives  what a model may have been trained with in place of what is declared
preprocessing_asking  what a model answers under other preprocessings
preprocessing_trials  whether another preprocessing is better, for few passes
class_order      whether outputs stand in the order of the classes
coarse_maps      heat maps on a coarse grid, as they are recorded
data_quality     checks of the image table with Great Expectations
figures          all drawing
misread          pictures of misread images, for the card of a finding
one_answer       whether a model answers every image with the same class
training_signs   what a training run recorded says about its network
```
"""
