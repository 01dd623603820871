"""What the measures of completed faces are called, for those who measure and those who report."""

FACE_METRICS = ["hole_psnr", "psnr", "hole_l1", "l1", "ssim", "hole_ssim", "identity_distance"]
HIGHER_IS_BETTER = frozenset({"hole_psnr", "psnr", "ssim", "hole_ssim"})  # less is, of the others
FLOAT_FORMAT = "%.6f"
