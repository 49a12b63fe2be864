"""scikit-learn's 8x8 digits, by first spikes and by its own network of the same size.

python sklearn_digits.py [SEEDS]
"""

import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from firstspike.sklearn import FirstSpikeClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)

for seed in range(int(sys.argv[1]) if sys.argv[1:] else 3):
    spiking = FirstSpikeClassifier(hidden=100, random_state=seed).fit(X, y)
    dense = make_pipeline(MinMaxScaler(), MLPClassifier((100,), max_iter=500, random_state=seed))
    accuracy, other = spiking.score(X_test, y_test), dense.fit(X, y).score(X_test, y_test)
    spikes = ", ".join(f"{layer:.1f}" for layer in spiking.spikes_)
    print(f"seed {seed}: {accuracy:.2%} of the test images, MLPClassifier {other:.2%}")
    print(f"  spikes an image, of pixels, hidden and output neurons: {spikes}")
