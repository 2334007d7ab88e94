"""The public names with their types; at run time ``__init__.py`` imports each when it is first used."""

from amr.errors import AmrError as AmrError
from amr.evaluation import score as score
from amr.formats.annotations import Annotation as Annotation
from amr.formats.annotations import read_annotations as read_annotations
from amr.formats.features.open import open_features as open_features
from amr.formats.predictions import Prediction as Prediction
from amr.formats.predictions import read_predictions as read_predictions
from amr.formats.queries import Query as Query
from amr.moments import Moment as Moment
from amr.tasks.extract import extract as extract
from amr.tasks.models import Model as Model
from amr.tasks.models import load_model as load_model
from amr.tasks.overview import overview as overview
from amr.tasks.results import Hit as Hit
from amr.tasks.search import predict as predict
from amr.tasks.search import search as search
from amr.tasks.simulate import simulate as simulate
from amr.tasks.train import train as train

__version__: str
HOMES: dict[str, str]
