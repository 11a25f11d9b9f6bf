"""`/device/v1`: what the phone itself needs. Enrolment, the step-ups that wait for it, and its inbox."""
