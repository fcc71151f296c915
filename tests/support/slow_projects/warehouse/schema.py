"""Schema of a large GraphQL API, as saleor builds one in ``django.setup()``."""

from graphql import GraphQLField, GraphQLObjectType, GraphQLString

TYPES = 1500
FIELDS = 15

_types: list[GraphQLObjectType] = []


def build() -> None:
    """Build the types of the schema."""
    for number in range(TYPES):
        fields = {f"field_{index}": GraphQLField(GraphQLString) for index in range(FIELDS)}
        _types.append(GraphQLObjectType(f"Type{number}", fields))
