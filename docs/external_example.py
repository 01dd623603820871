"""A program for methods of kind `external`: it fills faces by OpenCV's Telea inpainting.

methods:
  outside:
    kind: external
    command: python docs/external_example.py {images} {masks} {output}
"""

import sys
from pathlib import Path

import cv2

images, masks, output = map(Path, sys.argv[1:])
files = sorted(images.glob("*.png"))
for file in files:
    face = cv2.imread(str(file))  # black in the hole
    known = cv2.imread(str(masks / file.name), cv2.IMREAD_GRAYSCALE)  # white = known
    cv2.imwrite(str(output / file.name), cv2.inpaint(face, 255 - known, 3, cv2.INPAINT_TELEA))
print(f"{len(files)} faces filled")  # goes into the job's log
