"""Trains an image model with any of gradpow's optimizers, by the code of `examples.pretrain`.

pip install -e ".[pretrain,examples]"
python -m examples.vision                                   # a small ResNet-18 on digits, AdamW
python -m examples.vision --preset vae-digits --optimizer grams
python -m examples.vision --preset resnet18 --optimizer stacey    # CIFAR-10, from the hub
python -m examples.vision --preset vit-b16 --optimizer s3 --dry-run
"""

from ..pretrain import train
from .config import VisionConfig

if __name__ == "__main__":
    train.main(kind=VisionConfig)
