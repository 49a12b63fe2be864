"""A GAN whose discriminator names what it sees, trained a little. Arguments: images, epochs."""

import sys

import torch

import firstspike as fs
from firstspike.data import ImageSet

count, epochs = int(sys.argv[1]), int(sys.argv[2])
mnist, unseen = fs.load_mnist("train"), fs.load_mnist("test")
some = ImageSet(mnist.images[:count], mnist.labels[:count], "some digits")
gan = fs.fit("gan", some, auxiliary=True, epochs=epochs, snapshots=0, progress=False)

asked = torch.arange(10).repeat(100)
drawn = gan.sample(gan.latents(len(asked), torch.Generator().manual_seed(0), asked))


def share_right(images, classes):
    return (gan.names_of(images) == classes).double().mean()


print(f"images named right: {share_right(unseen.images, unseen.labels):.1%}")
print(f"samples named right: {share_right((255 * drawn).round().byte(), asked):.1%}")
