import hypothesis

# No deadline: a busy machine is no defect. Speed is for benchmarks/ to show.
hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.load_profile("default")
