# A small module system: declared options, priorities, mkIf and mkMerge, and nixpkgs' wording where a definition is wrong.
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    stringLength
    substring
    toJSON
    ;

  defaultPriority = 100;

  lib = rec {
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkForce = mkOverride 50;
    mkDefault = mkOverride 1000;
    mkOption = option: option // { _type = "option"; };
    inherit types;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: attrs: if condition then attrs else { };
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    inherit concatStringsSep;
    filterAttrs =
      keep: attrs:
      listToAttrs (
        map (name: {
          inherit name;
          value = attrs.${name};
        }) (filter (name: keep name attrs.${name}) (attrNames attrs))
      );
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
  };

  # A type is: its name in messages, a check, and how several definitions become one value.
  scalar = name: check: {
    inherit name check;
    merge =
      path: definitions:
      let
        first = (elemAt definitions 0).value;
      in
      if all (d: d.value == first) definitions then
        first
      else
        throw "The option `${show path}' has conflicting definition values:${describe definitions}\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
  };
  types = rec {
    str = scalar "string" isString;
    bool = scalar "boolean" isBool;
    int = scalar "signed integer" isInt;
    anything = scalar "anything" (_: true);
    path = scalar "absolute path" (
      v: isPath v || (isString v && substring 0 1 v == "/") || (isAttrs v && v ? outPath)
    );
    raw = anything;
    enum = values: scalar "one of ${concatStringsSep ", " (map toJSON values)}" (v: elem v values);
    nullOr =
      inner:
      inner
      // {
        name = "null or ${inner.name}";
        check = v: v == null || inner.check v;
        merge = path: ds: if any (d: d.value == null) ds then null else inner.merge path ds;
      };
    lines = scalar "strings concatenated with \"\\n\"" isString // {
      merge = _: ds: concatStringsSep "\n" (map (d: d.value) ds);
    };
    listOf = inner: {
      name = "list of ${inner.name}";
      check = isList;
      merge =
        path: ds:
        concatMap (
          d:
          map (
            value:
            mergeValue inner (path ++ [ "*" ]) [ { inherit (d) file priority; inherit value; } ]
          ) d.value
        ) ds;
    };
    attrsOf = inner: {
      name = "attribute set of ${inner.name}";
      check = isAttrs;
      merge =
        path: ds:
        let
          pushed = concatMap pushDown ds;
          all = unique (concatMap (d: attrNames d.value) pushed);
          # A key whose every definition is conditional and off is not there.
          names = filter (name: concatMap discharge (below name pushed) != [ ]) all;
        in
        listToAttrs (
          map (name: {
            inherit name;
            value = mergeValue inner (path ++ [ name ]) (below name pushed);
          }) names
        );
    };
    submodule = options: {
      name = "submodule";
      check = isAttrs;
      merge = path: ds: evalTree path (if isFunction options then options (elemAt path (length path - 1)) else options) ds;
    };
  };

  show = path: concatStringsSep "." path;
  unique = foldl' (list: x: if elem x list then list else list ++ [ x ]) [ ];
  below =
    name: ds:
    concatMap (d: if d.value ? ${name} then [ (d // { value = d.value.${name}; }) ] else [ ]) ds;

  describe =
    ds:
    concatStringsSep "" (
      map (d: "\n- In `${d.file}': ${printValue d.value}") ds
    );
  printValue =
    v:
    if isFunction v then
      "<function>"
    else if isAttrs v && v ? _type then
      "<${v._type}>"
    else if isAttrs v && v ? outPath then
      "${v}"
    else
      let
        text = toJSON v;
      in
      if stringLength text > 200 then "${substring 0 200 text}…" else text;

  isProperty = v: isAttrs v && v ? _type && elem v._type [ "if" "merge" "override" ];

  # At a leaf: the definitions that hold, with their priorities.
  discharge =
    d:
    if !(isProperty d.value) then
      [ d ]
    else if d.value._type == "if" then
      (if d.value.condition then discharge (d // { value = d.value.content; }) else [ ])
    else if d.value._type == "merge" then
      concatMap (value: discharge (d // { inherit value; })) d.value.contents
    else
      discharge (d // { value = d.value.content; inherit (d.value) priority; });

  # Above a leaf: the same, but conditions move down to the leaves, as they may depend on other options.
  pushDown =
    d:
    if !(isProperty d.value) then
      [ d ]
    else if d.value._type == "merge" then
      concatMap (value: pushDown (d // { inherit value; })) d.value.contents
    else if d.value._type == "if" then
      map (inner: inner // { value = mapAttrs (_: lib.mkIf d.value.condition) inner.value; }) (
        pushDown (d // { value = d.value.content; })
      )
    else
      map (inner: inner // { value = mapAttrs (_: lib.mkOverride d.value.priority) inner.value; }) (
        pushDown (d // { value = d.value.content; })
      );

  mergeValue =
    type: path: definitions:
    let
      held = concatMap discharge definitions;
      strongest = foldl' (p: d: if d.priority < p then d.priority else p) 100000 held;
      winners = filter (d: d.priority == strongest) held;
      wrong = filter (d: !(type.check d.value)) winners;
    in
    if wrong != [ ] then
      throw "A definition for option `${show path}' is not of type `${type.name}'. Definition values:${describe wrong}"
    else
      type.merge path winners;

  evalOption =
    path: option: definitions:
    let
      held = concatMap discharge definitions;
    in
    if option.readOnly or false && length held > 1 then
      throw "The option `${show path}' is read-only, but it's set multiple times. Definition values:${describe held}"
    else if held == [ ] then
      if option ? default then
        # A default goes through the type too, so that submodules and lists of them are complete.
        option.default
      else
        throw "The option `${show path}' was accessed but has no value defined. Try setting the option."
    else
      mergeValue option.type path definitions;

  evalTree =
    path: options: definitions:
    if (options._type or "") == "option" then
      evalOption path options definitions
    else
      let
        wrong = filter (d: !(isAttrs d.value)) definitions;
        pushed = concatMap pushDown definitions;
        unknown = concatMap (
          d:
          map (name: {
            inherit (d) file;
            inherit name;
            value = d.value.${name};
          }) (filter (name: !(options ? ${name})) (attrNames d.value))
        ) pushed;
      in
      if wrong != [ ] then
        throw "The option `${show path}' is a set of options, and was given a value. Definition values:${describe wrong}"
      else if unknown != [ ] then
        unknownOption path options unknown
      else
        mapAttrs (name: option: evalTree (path ++ [ name ]) option (below name pushed)) options;

  unknownOption =
    path: options: unknown:
    let
      inherit (elemAt unknown 0) name;
      near = filter (known: substring 0 3 known == substring 0 3 name) (attrNames options);
      hint =
        if near == [ ] then
          ""
        else
          "\n\nDid you mean ${concatStringsSep " or " (map (n: "`${show (path ++ [ n ])}'") near)}?";
    in
    throw "The option `${show (path ++ [ name ])}' does not exist. Definition values:${
      describe (filter (u: u.name == name) unknown)
    }${hint}";

  # Each module, and those it imports, as { file, value }.
  collect =
    arguments: module:
    let
      file = if isPath module || isString module then toString module else "<unknown-file>";
      loaded = if isPath module || isString module then import module else module;
      value = if isFunction loaded then loaded arguments else loaded;
      config = if value ? config then value.config else removeAttrs value [ "imports" "_file" "options" ];
    in
    concatMap (collect arguments) (value.imports or [ ])
    ++ [
      {
        file = value._file or file;
        value = config;
        priority = defaultPriority;
      }
    ];

  eval =
    {
      options,
      modules,
      specialArgs ? { },
    }:
    let
      arguments = {
        inherit config lib options;
      }
      // specialArgs;
      config = evalTree [ ] options (concatLists (map (collect arguments) modules));
    in
    {
      inherit config options;
    };
in
{
  inherit lib eval;
}
