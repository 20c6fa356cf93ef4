//! GraphQL as GitHub's server does it: what is not in the schema is refused, and answered is what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Document, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet, TypeCondition,
    Value as Literal,
};
use graphql_parser::schema::{self, Type, TypeDefinition};
use serde_json::{Map, Value, json};

use super::fields::{self, Thing};
use super::limits::Resource;
use super::server::{Asked, Reply};
use super::state::State;

/// The most nodes that one query may ask for.
const NODE_LIMIT: u64 = 500_000;

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::read);

type Text = String;
pub type Arguments = BTreeMap<String, Value>;

/// The types by name.
struct Schema {
    types: BTreeMap<String, TypeDefinition<'static, Text>>,
}

impl Schema {
    fn read() -> Self {
        let document = schema::parse_schema::<Text>(include_str!("schema.graphql")).unwrap().into_static();
        let types = document.definitions.into_iter().filter_map(|definition| {
            let schema::Definition::TypeDefinition(definition) = definition else { return None };
            let name = match &definition {
                TypeDefinition::Scalar(of) => &of.name,
                TypeDefinition::Object(of) => &of.name,
                TypeDefinition::Interface(of) => &of.name,
                TypeDefinition::Union(of) => &of.name,
                TypeDefinition::Enum(of) => &of.name,
                TypeDefinition::InputObject(of) => &of.name,
            };
            Some((name.clone(), definition))
        });
        Self { types: types.collect() }
    }

    fn fields(&self, of: &str) -> &[schema::Field<'static, Text>] {
        match self.types.get(of) {
            Some(TypeDefinition::Object(of)) => &of.fields,
            Some(TypeDefinition::Interface(of)) => &of.fields,
            _ => &[],
        }
    }

    fn field(&self, of: &str, name: &str) -> Option<&schema::Field<'static, Text>> {
        self.fields(of).iter().find(|field| field.name == name)
    }

    /// Whether a concrete type is what a condition asks for.
    fn is(&self, concrete: &str, condition: &str) -> bool {
        concrete == condition
            || match self.types.get(condition) {
                Some(TypeDefinition::Union(union)) => union.types.iter().any(|member| member == concrete),
                Some(TypeDefinition::Interface(_)) => match self.types.get(concrete) {
                    Some(TypeDefinition::Object(object)) => {
                        object.implements_interfaces.iter().any(|interface| interface == condition)
                    }
                    _ => false,
                },
                _ => false,
            }
    }

    fn is_composite(&self, name: &str) -> bool {
        let composite = |of: &TypeDefinition<'_, Text>| {
            matches!(of, TypeDefinition::Object(_) | TypeDefinition::Interface(_) | TypeDefinition::Union(_))
        };
        self.types.get(name).is_some_and(composite)
    }
}

/// The innermost name of a type.
fn name_of<'a>(of: &'a Type<'_, Text>) -> &'a str {
    match of {
        Type::NamedType(name) => name,
        Type::ListType(inner) | Type::NonNullType(inner) => name_of(inner),
    }
}

/// One operation and what it needs.
struct Operation<'a> {
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'a, Text>>,
    variables: BTreeMap<String, Value>,
    declared: BTreeSet<&'a str>,
    old_server: bool,
    errors: Vec<Value>,
    used_variables: BTreeSet<String>,
    used_fragments: BTreeSet<String>,
    /// Requests that the connections take, for the points; and nodes.
    requests: u64,
    nodes: u64,
}

pub fn answer(state: &mut State, login: &str, token: &str, asked: &Asked) -> Reply {
    if asked.method != "POST" {
        return Reply::refusal(404, "Not Found");
    }
    let body = asked.body.clone().and_then(Result::ok).unwrap_or(Value::Null);
    let Some(text) = body["query"].as_str() else {
        let error = json!({ "message": "A query attribute must be specified and must be a string." });
        return Reply::json(200, json!({ "errors": [error] }));
    };
    let document: Document<'_, Text> = match graphql_parser::parse_query(text) {
        Ok(document) => document,
        Err(error) => {
            let error =
                json!({ "message": format!("Parse error: {error}"), "locations": [{ "line": 1, "column": 1 }] });
            return Reply::json(200, json!({ "errors": [error] }));
        }
    };
    let given = body["variables"].as_object().cloned().unwrap_or_default();
    match run(state, login, token, asked, &document, &given) {
        Ok((data, errors, points)) => {
            let mut answer = json!({ "data": data });
            if !errors.is_empty() {
                answer["errors"] = json!(errors);
            }
            Reply { points, ..Reply::json(200, answer) }
        }
        Err(errors) => Reply { points: 1, ..Reply::json(200, json!({ "errors": errors })) },
    }
}

type Ran = (Value, Vec<Value>, u64);

fn run<'a>(
    state: &mut State,
    login: &str,
    token: &str,
    asked: &Asked,
    document: &'a Document<'a, Text>,
    given: &Map<String, Value>,
) -> Result<Ran, Vec<Value>> {
    let mut queries = Vec::new();
    let mut fragments = BTreeMap::new();
    for definition in &document.definitions {
        match definition {
            Definition::Operation(OperationDefinition::Query(query)) => {
                queries.push((query.name.as_deref(), query.variable_definitions.as_slice(), &query.selection_set));
            }
            Definition::Operation(OperationDefinition::SelectionSet(set)) => queries.push((None, &[], set)),
            Definition::Operation(_) => return Err(vec![json!({ "message": "the fake knows named queries only" })]),
            Definition::Fragment(fragment) => {
                fragments.insert(fragment.name.as_str(), fragment);
            }
        }
    }
    let [(name, variables, selection)] = queries.as_slice() else {
        return Err(vec![json!({ "message": "An operation name is required" })]);
    };
    let mut operation = Operation {
        fragments,
        variables: BTreeMap::new(),
        declared: variables.iter().map(|variable| variable.name.as_str()).collect(),
        old_server: state.old_server,
        errors: Vec::new(),
        used_variables: BTreeSet::new(),
        used_fragments: BTreeSet::new(),
        requests: 0,
        nodes: 0,
    };
    for variable in *variables {
        let value = given.get(&variable.name).cloned();
        let default = variable.default_value.as_ref().map(|default| operation.value(default));
        let value = value.or(default).unwrap_or(Value::Null);
        if let Err(why) = fits(&value, &variable.var_type) {
            let name = &variable.name;
            operation.errors.push(json!({
                "message": format!("Variable ${name} of type {} was provided invalid value: {why}", variable.var_type),
                "extensions": { "value": value, "problems": [{ "path": [], "explanation": why }] },
            }));
        }
        operation.variables.insert(variable.name.clone(), value);
    }
    let path = vec![name.map_or("query".to_owned(), |name| format!("query {name}"))];
    operation.check(selection, "Query", &path, 1);
    let name = name.unwrap_or("anonymous query");
    for variable in operation.declared.clone() {
        if !operation.used_variables.contains(variable) {
            let message = format!("Variable ${variable} is declared by {name} but not used");
            operation.refuse(selection.span.0, &path, "variableNotUsed", json!({ "variableName": variable }), message);
        }
    }
    for (fragment, definition) in operation.fragments.clone() {
        if !operation.used_fragments.contains(fragment) {
            let message = format!("Fragment {fragment} was defined, but not used");
            let more = json!({ "fragmentName": fragment });
            operation.refuse(definition.position, &path, "useless_fragment", more, message);
        }
    }
    if operation.nodes > NODE_LIMIT {
        operation.errors.push(json!({
            "type": "MAX_NODE_LIMIT_EXCEEDED",
            "message": format!("This query requests up to {} possible nodes which exceeds the maximum limit of 500,000.", operation.nodes),
        }));
    }
    if !operation.errors.is_empty() {
        return Err(operation.errors);
    }
    let points = ((operation.requests + 50) / 100).max(1);
    let now = state.now();
    let mut window = state.limits.window(token, Resource::Graphql, now);
    window.used += points;
    let root =
        fields::Root { login, api: format!("{}{}", state.base, asked.prefix), points, nodes: operation.nodes, window };
    let mut errors = Vec::new();
    let data = operation.execute(state, &root, &Thing::Query, selection, &mut Vec::new(), &mut errors);
    Ok((data, errors, points))
}

/// Whether a value can be of a type; scalars by kind, enums by name.
fn fits(value: &Value, of: &Type<'_, Text>) -> Result<(), String> {
    match of {
        Type::NonNullType(_) if value.is_null() => Err("Expected value to not be null".to_owned()),
        Type::NonNullType(inner) => fits(value, inner),
        _ if value.is_null() => Ok(()),
        Type::ListType(inner) => match value {
            Value::Array(items) => items.iter().try_for_each(|item| fits(item, inner)),
            single => fits(single, inner),
        },
        Type::NamedType(name) => {
            let ok = match name.as_str() {
                "Int" => value.is_i64() || value.is_u64(),
                "Boolean" => value.is_boolean(),
                "String" | "DateTime" | "URI" | "GitObjectID" => value.is_string(),
                "ID" => value.is_string() || value.is_u64(),
                other => match SCHEMA.types.get(other) {
                    Some(TypeDefinition::Enum(of)) => {
                        value.as_str().is_some_and(|value| of.values.iter().any(|known| known.name == value))
                    }
                    Some(TypeDefinition::InputObject(of)) => {
                        return match value.as_object() {
                            None => Err(format!("Expected {value} to be a key-value object.")),
                            Some(members) => {
                                for key in members.keys() {
                                    if of.fields.iter().all(|field| field.name != *key) {
                                        return Err(format!("InputObject '{other}' doesn't accept argument '{key}'"));
                                    }
                                }
                                of.fields.iter().try_for_each(|field| {
                                    fits(members.get(&field.name).unwrap_or(&Value::Null), &field.value_type)
                                })
                            }
                        };
                    }
                    _ => return Err(format!("{other} isn't a defined input type")),
                },
            };
            if ok { Ok(()) } else { Err(format!("Could not coerce value {value} to {name}")) }
        }
    }
}

impl<'a> Operation<'a> {
    fn refuse(&mut self, at: Pos, path: &[String], code: &str, more: Value, message: String) {
        let mut extensions = json!({ "code": code });
        extensions.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let locations = json!([{ "line": at.line, "column": at.column }]);
        self.errors.push(json!({ "path": path, "extensions": extensions, "locations": locations, "message": message }));
    }

    /// A literal, with variables put in.
    fn value(&mut self, literal: &Literal<'_, Text>) -> Value {
        match literal {
            Literal::Variable(name) => {
                self.used_variables.insert(name.clone());
                self.variables.get(name).cloned().unwrap_or(Value::Null)
            }
            Literal::Int(number) => json!(number.as_i64()),
            Literal::Float(number) => json!(number),
            Literal::String(text) => json!(text),
            Literal::Enum(name) => json!(name),
            Literal::Boolean(value) => json!(value),
            Literal::Null => Value::Null,
            Literal::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Literal::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), self.value(value))).collect())
            }
        }
    }

    /// Whether `@include` and `@skip` let something be.
    fn wanted(&mut self, directives: &[graphql_parser::query::Directive<'_, Text>]) -> bool {
        directives.iter().all(|directive| {
            let condition =
                directive.arguments.iter().find(|(name, _)| name == "if").map(|(_, value)| self.value(value));
            let condition = condition == Some(Value::Bool(true));
            if directive.name == "skip" { !condition } else { condition }
        })
    }

    /// Holds a selection to the schema, and counts what it costs when `parents` objects have it.
    fn check(&mut self, set: &SelectionSet<'a, Text>, of: &str, path: &[String], parents: u64) {
        let mut next = path.to_vec();
        for item in &set.items {
            match item {
                Selection::Field(field) => {
                    let alias = field.alias.as_ref().unwrap_or(&field.name);
                    next.push(alias.clone());
                    self.check_field(field, of, &next, parents);
                    next.pop();
                }
                Selection::InlineFragment(fragment) => {
                    let condition = match &fragment.type_condition {
                        Some(TypeCondition::On(name)) => name.clone(),
                        None => of.to_owned(),
                    };
                    self.wanted(&fragment.directives);
                    self.check_condition(&condition, of, fragment.position, path);
                    self.check(&fragment.selection_set, &condition, path, parents);
                }
                Selection::FragmentSpread(spread) => {
                    self.used_fragments.insert(spread.fragment_name.clone());
                    self.wanted(&spread.directives);
                    match self.fragments.get(spread.fragment_name.as_str()).copied() {
                        Some(fragment) => {
                            let TypeCondition::On(condition) = &fragment.type_condition;
                            self.check_condition(condition, of, spread.position, path);
                            let within = [format!("fragment {}", fragment.name)];
                            self.check(&fragment.selection_set, condition, &within, parents);
                        }
                        None => {
                            let message = format!("Fragment {} was used, but not defined", spread.fragment_name);
                            self.refuse(spread.position, path, "useAndDefineFragment", json!({}), message);
                        }
                    }
                }
            }
        }
    }

    fn check_condition(&mut self, condition: &str, of: &str, at: Pos, path: &[String]) {
        if !SCHEMA.is_composite(condition) {
            let message = format!("No such type {condition}, so it can't be a fragment condition");
            self.refuse(at, path, "undefinedType", json!({ "typeName": condition }), message);
        } else if !SCHEMA.types.keys().any(|concrete| SCHEMA.is(concrete, condition) && SCHEMA.is(concrete, of)) {
            let message = format!("Fragment on {condition} can't be spread inside {of}");
            self.refuse(at, path, "cannotSpreadFragment", json!({ "typeName": condition }), message);
        }
    }

    fn check_field(&mut self, field: &Field<'a, Text>, of: &str, path: &[String], parents: u64) {
        self.wanted(&field.directives);
        if field.name == "__typename" {
            return;
        }
        let is_missing = self.old_server && (of, field.name.as_str()) == ("Issue", "blockedBy");
        let Some(definition) = SCHEMA.field(of, &field.name).filter(|_| !is_missing) else {
            let name = &field.name;
            let more = json!({ "typeName": of, "fieldName": name });
            let message = format!("Field '{name}' doesn't exist on type '{of}'");
            // What is below it is not looked at, but what it uses is used.
            field.arguments.iter().for_each(|(_, value)| drop(self.value(value)));
            return self.refuse(field.position, path, "undefinedField", more, message);
        };
        let mut given = Arguments::new();
        for (name, literal) in &field.arguments {
            if let Literal::Variable(variable) = literal
                && !self.declared.contains(variable.as_str())
            {
                let message = format!("Variable ${variable} is used but not declared");
                self.refuse(field.position, path, "variableNotDefined", json!({ "variableName": variable }), message);
            }
            let value = self.value(literal);
            match definition.arguments.iter().find(|argument| argument.name == *name) {
                None => {
                    let message = format!("Field '{}' doesn't accept argument '{name}'", field.name);
                    let more = json!({ "name": field.name, "typeName": "Field", "argumentName": name });
                    self.refuse(field.position, path, "argumentNotAccepted", more, message);
                }
                Some(argument) => {
                    if let Err(why) = fits(&value, &argument.value_type) {
                        let message =
                            format!("Argument '{name}' on Field '{}' has an invalid value: {why}", field.name);
                        self.refuse(field.position, path, "argumentLiteralsIncompatible", json!({}), message);
                    }
                }
            }
            given.insert(name.clone(), value);
        }
        for argument in &definition.arguments {
            if matches!(argument.value_type, Type::NonNullType(_)) && !given.contains_key(&argument.name) {
                let message = format!("Field '{}' is missing required arguments: {}", field.name, argument.name);
                self.refuse(field.position, path, "missingRequiredArguments", json!({}), message);
            }
        }
        let inner = name_of(&definition.field_type);
        let selects = !field.selection_set.items.is_empty();
        if selects != SCHEMA.is_composite(inner) {
            let message = format!(
                "Field must have selections exactly where it is an object (field '{}' returns {inner})",
                field.name
            );
            return self.refuse(field.position, path, "selectionMismatch", json!({}), message);
        }
        let multiplied = if inner.ends_with("Connection") {
            let size = self.page_size(field, &given, path);
            self.requests = self.requests.saturating_add(parents);
            self.nodes = self.nodes.saturating_add(parents.saturating_mul(size));
            parents.saturating_mul(size)
        } else {
            parents
        };
        self.check(&field.selection_set, inner, path, multiplied);
    }

    /// How many nodes a connection is asked for; more than 100, or no number, is refused.
    fn page_size(&mut self, field: &Field<'_, Text>, given: &Arguments, path: &[String]) -> u64 {
        let bound = ["first", "last"].into_iter().find_map(|name| Some((name, given.get(name)?.as_u64()?)));
        let locations = json!([{ "line": field.position.line, "column": field.position.column }]);
        let name = &field.name;
        match bound {
            None => {
                let message =
                    format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection.");
                let kind = "MISSING_PAGINATION_BOUNDARIES";
                self.errors.push(json!({ "type": kind, "path": path, "locations": locations, "message": message }));
                0
            }
            Some((bound, size)) if size > 100 => {
                let message = format!(
                    "Requesting {size} records on the `{name}` connection exceeds the `{bound}` limit of 100 records."
                );
                let kind = "EXCESSIVE_PAGINATION";
                self.errors.push(json!({ "type": kind, "path": path, "locations": locations, "message": message }));
                0
            }
            Some((_, size)) => size,
        }
    }

    fn execute(
        &mut self,
        state: &State,
        root: &fields::Root<'_>,
        thing: &Thing,
        set: &SelectionSet<'a, Text>,
        path: &mut Vec<Value>,
        errors: &mut Vec<Value>,
    ) -> Value {
        let mut object = Map::new();
        self.collect(state, root, thing, set, path, errors, &mut object);
        Value::Object(object)
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a walk")]
    fn collect(
        &mut self,
        state: &State,
        root: &fields::Root<'_>,
        thing: &Thing,
        set: &SelectionSet<'a, Text>,
        path: &mut Vec<Value>,
        errors: &mut Vec<Value>,
        object: &mut Map<String, Value>,
    ) {
        let concrete = thing.type_name(state);
        for item in &set.items {
            match item {
                Selection::Field(field) if self.wanted(&field.directives) => {
                    let alias = field.alias.as_ref().unwrap_or(&field.name);
                    path.push(json!(alias));
                    let value = self.resolve(state, root, thing, field, path, errors);
                    merge(object, alias, value);
                    path.pop();
                }
                Selection::InlineFragment(fragment) if self.wanted(&fragment.directives) => {
                    let fits = match &fragment.type_condition {
                        Some(TypeCondition::On(condition)) => SCHEMA.is(&concrete, condition),
                        None => true,
                    };
                    if fits {
                        self.collect(state, root, thing, &fragment.selection_set, path, errors, object);
                    }
                }
                Selection::FragmentSpread(spread) if self.wanted(&spread.directives) => {
                    let fragment = self.fragments[spread.fragment_name.as_str()];
                    let TypeCondition::On(condition) = &fragment.type_condition;
                    if SCHEMA.is(&concrete, condition) {
                        self.collect(state, root, thing, &fragment.selection_set, path, errors, object);
                    }
                }
                _ => {}
            }
        }
    }

    fn resolve(
        &mut self,
        state: &State,
        root: &fields::Root<'_>,
        thing: &Thing,
        field: &Field<'a, Text>,
        path: &mut Vec<Value>,
        errors: &mut Vec<Value>,
    ) -> Value {
        if field.name == "__typename" {
            return json!(thing.type_name(state));
        }
        let arguments: Arguments =
            field.arguments.iter().map(|(name, value)| (name.clone(), self.value(value))).collect();
        match fields::resolve(state, root, thing, &field.name, &arguments) {
            Ok(Thing::Leaf(value)) => value,
            Ok(Thing::List(things)) => {
                let mut values = Vec::with_capacity(things.len());
                for (place, thing) in things.iter().enumerate() {
                    path.push(json!(place));
                    values.push(match thing {
                        Thing::Leaf(value) => value.clone(),
                        thing => self.execute(state, root, thing, &field.selection_set, path, errors),
                    });
                    path.pop();
                }
                Value::Array(values)
            }
            Ok(thing) => self.execute(state, root, &thing, &field.selection_set, path, errors),
            Err((kind, message)) => {
                errors.push(json!({
                    "type": kind, "path": path, "message": message,
                    "locations": [{ "line": field.position.line, "column": field.position.column }],
                }));
                Value::Null
            }
        }
    }
}

/// The same field may be asked for in several places; objects are put together.
fn merge(object: &mut Map<String, Value>, key: &str, value: Value) {
    match (object.get_mut(key), value) {
        (Some(Value::Object(there)), Value::Object(more)) => {
            for (key, value) in more {
                merge(there, &key, value);
            }
        }
        (Some(Value::Array(there)), Value::Array(more)) => {
            for (there, more) in there.iter_mut().zip(more) {
                if let (Value::Object(there), Value::Object(more)) = (there, more) {
                    for (key, value) in more {
                        merge(there, &key, value);
                    }
                }
            }
        }
        (_, value) => {
            object.insert(key.to_owned(), value);
        }
    }
}
