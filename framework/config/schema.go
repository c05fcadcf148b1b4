package config

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// SchemaID names the form of a CONFIG file.
const SchemaID = "urn:pmem-memcached-e2e:config:v1"

// jsonSchema is a part of a JSON schema. The file is read word by word, so
// that 1.10 is a text where a text is expected, and "2" a number.
type jsonSchema map[string]any

var (
	scalarSchema = jsonSchema{"type": []string{"string", "number", "boolean"}}
	boolSchema   = jsonSchema{"enum": []any{true, false, 0, 1, "true", "false", "0", "1"}}
)

func integerSchema(least, most, step int) jsonSchema {
	s := jsonSchema{"type": []string{"integer", "string"}, "pattern": "^[0-9]+$", "minimum": least, "maximum": most}
	if step > 1 {
		s["multipleOf"] = step
	}
	return s
}

// Schema is the JSON schema of a CONFIG file.
func Schema() ([]byte, error) {
	properties := jsonSchema{}
	for _, s := range settings {
		p := jsonSchema{"description": s.Usage}
		for k, v := range s.value.schema {
			p[k] = v
		}
		properties[s.Flag] = p
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(jsonSchema{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SchemaID,
		"description": "Settings of a run by the names of their flags.",
		"type":        "object", "properties": properties, "additionalProperties": false, "minProperties": 1,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the schema of a configuration file: %w", err)
	}
	return b.Bytes(), nil
}
